// Made by `edge api types` of the content types: make it anew when they change.

/** A reference to an entry: its documentId, or its number. */
export type Reference = string | number | { documentId: string } | { id: number };

/** What a relation becomes: these entries, or a change to those that it has. */
export type References = Reference[] | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] };

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

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
  publishedAt: string;
}

export interface AboutInput {
  text?: string | null;
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
  username: string;
  email: string;
  provider?: string | null;
  confirmed?: boolean | null;
  blocked?: boolean | null;
  role?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
}

/** By the path of a collection, what is there. */
export interface Collections {
  authors: { entry: Author; input: AuthorInput };
  posts: { entry: Post; input: PostInput };
}

/** By the path of a single type, what is there. */
export interface Singles {
  about: { entry: About; input: AboutInput };
}
