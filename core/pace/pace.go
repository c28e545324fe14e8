// Package pace keeps calls of somebody else (a function, a plugin) at a pace that he bears: [Slots] are how many may be under way
// at once, and a [Breaker] spares who is away, so that neither his end nor his return is a storm.
//
// In comes what calls in general have: a beginning, an end, and what came of it. What is called and what it answered are not known here, and nothing is kept.
package pace
