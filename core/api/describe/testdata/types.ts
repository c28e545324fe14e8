// Made by `edge api types` of the content types: make it anew when they change.

/** A reference to an entry: its documentId, or its number. */
export type Reference = string | number | { documentId: string } | { id: number };

/** What a relation becomes: these entries, or a change to those that it has. */
export type References = Reference[] | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] };

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The answer that one entry is. */
export interface One<T> {
  data: T;
  meta: Record<string, never>;
}

/** The answer that a page of entries is. */
export interface List<T> {
  data: T[];
  meta: { pagination: Pagination };
}

/** Which page it is: as page and pageSize, or as start and limit, as it was asked for. Without withCount there is no total. */
export interface Pagination {
  page?: number;
  pageSize?: number;
  pageCount?: number;
  start?: number;
  limit?: number;
  total?: number;
}

/** The answer when it is not what was asked for. */
export interface Failure {
  data: null;
  error: { status: number; name: string; message: string; details?: unknown };
}

/** What a query asks for, to be written with qs: qs.stringify(query, { encodeValuesOnly: true }). */
export interface Query<T> extends Shown<T> {
  filters?: Filters<T>;
  sort?: Order<T> | Order<T>[];
  pagination?: { page?: number; pageSize?: number; withCount?: boolean } | { start?: number; limit?: number; withCount?: boolean };
}

/** What is shown of an entry, and which version of it. */
export interface Shown<T> {
  fields?: "*" | Field<T>[];
  populate?: "*" | Relation<T> | Relation<T>[] | { [K in Relation<T>]?: boolean | "*" | Populate<Related<T[K]>> };
  status?: "published" | "draft";
  locale?: string;
}

/** What is filled in of a relation or a component; of a dynamic zone by its components. */
export type Populate<T> = (Pick<Query<T>, "fields" | "filters" | "sort" | "populate"> & { count?: boolean }) | { on: Record<string, unknown> };

/** Which entries: by their values, and by those of what relations lead to. */
export type Filters<T> = { [K in keyof T]?: Condition<NonNullable<T[K]>> } & { $and?: Filters<T>[]; $or?: Filters<T>[]; $not?: Filters<T> };

type Scalar = string | number | boolean;

/** What is asked of a value: that it is this one, or one of these, or what operators say. */
export type Condition<V> = Json extends V | null ? { $null?: boolean; $notNull?: boolean } : [V] extends [Scalar] ? V | V[] | Operators<V> : Filters<Related<V>> | Reference;

export interface Operators<V> {
  $eq?: V;
  $ne?: V;
  $in?: V[];
  $notIn?: V[];
  $lt?: V;
  $lte?: V;
  $gt?: V;
  $gte?: V;
  $between?: [V, V];
  $null?: boolean;
  $notNull?: boolean;
  $eqi?: string;
  $nei?: string;
  $contains?: string;
  $notContains?: string;
  $containsi?: string;
  $notContainsi?: string;
  $startsWith?: string;
  $startsWithi?: string;
  $endsWith?: string;
  $endsWithi?: string;
  $not?: V | Operators<V>;
}

/** The names of plain values. */
export type Field<T> = { [K in keyof T]-?: Json extends T[K] ? K : [NonNullable<T[K]>] extends [Scalar] ? K : never }[keyof T] & string;

/** The names of relations, media, components and dynamic zones. */
export type Relation<T> = Exclude<keyof T & string, Field<T>>;

/** A name, also of what a relation leads to, and the direction. */
export type Order<T> = Field<T> | `${Field<T>}:${"asc" | "desc"}` | `${Relation<T>}.${string}`;

/** What an attribute leads to. */
type Related<V> = NonNullable<V> extends (infer E)[] ? E : NonNullable<V>;

export interface SharedQuoteComponent {
  id: number;
  words: string | null;
  from?: Author | null;
}

export interface SharedQuoteComponentInput {
  words?: string | null;
  from?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
}

export interface SharedSeoComponent {
  id: number;
  title: string;
}

export interface SharedSeoComponentInput {
  title: string;
}

export interface About {
  id: number;
  documentId: string;
  text: string | null;
  createdAt: string;
  updatedAt: string;
  publishedAt: string | null;
}

export interface AboutInput {
  text?: string | null;
  word?: string | null;
}

export interface Author {
  id: number;
  documentId: string;
  name: string | null;
  posts?: Post[];
  createdAt: string;
  updatedAt: string;
  publishedAt: string;
}

export interface AuthorInput {
  name?: string | null;
  posts?: References | null;
}

export interface File {
  id: number;
  documentId: string;
  name: string;
  alternativeText: string | null;
  caption: string | null;
  width: number | null;
  height: number | null;
  formats: Json;
  hash: string;
  ext: string | null;
  mime: string;
  size: number;
  url: string;
  previewUrl: string | null;
  provider: string;
  provider_metadata: Json;
  createdAt: string;
  updatedAt: string;
  publishedAt: string;
}

/** What is written * / and read */
export interface Post {
  id: number;
  documentId: string;
  title: string;
  slug: string | null;
  mood: ("good" | "bad") | null;
  views: string | null;
  rating: number | null;
  day: string | null;
  at: string | null;
  extra: Json;
  cover?: File | null;
  pictures?: File[];
  author?: Author | null;
  seo?: SharedSeoComponent | null;
  quotes?: SharedQuoteComponent[];
  parts?: (({ __component: "shared.seo" } & SharedSeoComponent) | ({ __component: "shared.quote" } & SharedQuoteComponent))[];
  createdAt: string;
  updatedAt: string;
  publishedAt: string | null;
  locale: string;
}

export interface PostInput {
  title: string;
  slug?: string | null;
  mood?: ("good" | "bad") | null;
  views?: string | number | null;
  rating?: number | null;
  day?: string | null;
  at?: string | null;
  extra?: Json | null;
  secret?: string | null;
  cover?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
  pictures?: References | null;
  author?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
  seo?: SharedSeoComponentInput | null;
  quotes?: SharedQuoteComponentInput[] | null;
  parts?: (({ __component: "shared.seo" } & SharedSeoComponentInput) | ({ __component: "shared.quote" } & SharedQuoteComponentInput))[] | null;
}

export interface Role {
  id: number;
  documentId: string;
  name: string;
  description: string | null;
  type: string | null;
  createdAt: string;
  updatedAt: string;
  publishedAt: string;
}

export interface Thing {
  id: number;
  documentId: string;
  code: string;
  text: string | null;
  rich: string | null;
  body: Json;
  mail: string | null;
  size: number;
  ratio: number | null;
  live: boolean | null;
  begins: string | null;
  needed: Json;
  seo?: SharedSeoComponent | null;
  next?: Thing | null;
  posts?: Post[];
  createdAt: string;
  updatedAt: string;
  publishedAt: string;
}

export interface ThingInput {
  code: string;
  text?: string | null;
  rich?: string | null;
  body?: Json | null;
  mail?: string | null;
  size: number;
  ratio?: number | null;
  live?: boolean | null;
  begins?: string | null;
  needed: Json;
  seo: SharedSeoComponentInput;
  next?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
  posts?: References | null;
}

export interface User {
  id: number;
  documentId: string;
  username: string;
  email: string;
  provider: string | null;
  confirmed: boolean | null;
  blocked: boolean | null;
  role?: Role | null;
  createdAt: string;
  updatedAt: string;
  publishedAt: string;
}

export interface UserInput {
  password: string;
  username: string;
  email: string;
  provider?: string | null;
  confirmed?: boolean | null;
  blocked?: boolean | null;
  role?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
}

/** By the path of a collection, what is there. */
export interface Collections {
  authors: { entry: Author; input: AuthorInput; changes: Partial<AuthorInput> };
  posts: { entry: Post; input: PostInput; changes: Partial<PostInput> };
  things: { entry: Thing; input: ThingInput; changes: Partial<ThingInput> };
}

/** By the path of a single type, what is there. */
export interface Singles {
  about: { entry: About; input: AboutInput; changes: Partial<AboutInput> };
}
