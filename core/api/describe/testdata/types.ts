// Made by `edge api types` of the content types: make it anew when they change.

/** A reference to an entry: its documentId, or its number. */
export type Reference = string | number | { documentId: string } | { id: number };

/** What a relation becomes: these entries, or a change to those that it has. */
export type References = Reference[] | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] };

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

export interface SectionsHeroComponent {
  id: number;
  heading: string | null;
}

export interface SectionsHeroComponentInput {
  heading?: string | null;
}

export interface SharedLinkComponent {
  id: number;
  href: string | null;
  to?: Post | null;
}

export interface SharedLinkComponentInput {
  href?: string | null;
  to?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
}

export interface SharedSeoComponent {
  id: number;
  metaTitle: string;
  image?: File | null;
  link?: SharedLinkComponent | null;
}

export interface SharedSeoComponentInput {
  metaTitle: string;
  image?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
  link?: SharedLinkComponentInput | null;
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

/** What is written 😀 😀 */
export interface Post {
  id: number;
  documentId: string;
  title: string;
  slug: string | null;
  intro: string | null;
  body: string | null;
  content: Json;
  contact: string | null;
  state: ("new" | "old") | null;
  views: number | null;
  reads: string | null;
  weight: number | null;
  price: number | null;
  open: boolean;
  day: string | null;
  hour: string | null;
  moment: string | null;
  stamp: string | null;
  cover?: File | null;
  gallery?: File[];
  author?: Author | null;
  related?: Post[];
  owner?: User | null;
  seo?: SharedSeoComponent | null;
  links?: SharedLinkComponent[];
  sections?: (({ __component: "sections.hero" } & SectionsHeroComponent) | ({ __component: "shared.seo" } & SharedSeoComponent))[];
  createdAt: string;
  updatedAt: string;
  publishedAt: string | null;
  locale: string;
}

export interface PostInput {
  title: string;
  slug?: string | null;
  intro?: string | null;
  body?: string | null;
  content?: Json | null;
  contact?: string | null;
  secret?: string | null;
  state?: ("new" | "old") | null;
  views?: number | null;
  reads?: string | number | null;
  weight?: number | null;
  price?: number | null;
  open?: boolean;
  day?: string | null;
  hour?: string | null;
  moment?: string | null;
  stamp?: string | null;
  notes?: Json | null;
  cover?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
  gallery?: References | null;
  author?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
  related?: References | null;
  owner?: Reference | { connect?: Reference[]; disconnect?: Reference[]; set?: Reference[] } | null;
  seo: SharedSeoComponentInput;
  links?: SharedLinkComponentInput[] | null;
  sections?: (({ __component: "sections.hero" } & SectionsHeroComponentInput) | ({ __component: "shared.seo" } & SharedSeoComponentInput))[] | null;
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
  provider: string | null;
  confirmed: boolean | null;
  blocked: boolean | null;
  role?: Role | null;
  company: string | null;
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
  company?: string | null;
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
