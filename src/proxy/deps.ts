// What the pull API is made of, put together once by the composition root.
import type { Gate } from '../auth/authorize.ts';
import type { Filler } from '../fill/filler.ts';
import type { Caller } from '../lib/claim.ts';
import type { Meter } from '../lib/meter.ts';
import type { Places } from '../lib/places.ts';
import type { Digest } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import type { Registry } from '../registry/registry.ts';
import type { Memory } from './memory.ts';
import type { Storage } from './storage.ts';
import type { TagLookup } from './tag-lookup.ts';
import type { Note } from './tell.ts';

/** An image that is to be stored in the secondary, with all that it points at. */
export interface CopyWish {
  readonly name: string;
  readonly reference: Reference;
}

/** @see CopyWish */
export type Enqueue = (wish: CopyWish) => void;

/** Limits how many requests of each kind are made at once. */
export interface QuestionPlaces {
  /** To the primary: lists, manifests by digest, and what is asked by HEAD (a tag, whether a blob is there). */
  readonly lists: Places;
  readonly manifests: Places;
  readonly lookups: Places;
  /** To the local registry, each until its headers are there. */
  readonly local: Places;
}

/** The parts of the pull API. */
export interface ProxyDeps {
  readonly primary: Registry;
  readonly secondary: Registry;
  /** The local registry's files, where they can be read. */
  readonly storage?: Storage | undefined;
  readonly filler: Filler;
  readonly gate: Gate;
  readonly memory: Memory;
  readonly tags: TagLookup;
  readonly places: QuestionPlaces;
  readonly meter: Meter;
  readonly enqueue: Enqueue;
  /** Whether content of this repository is stored in the secondary. */
  readonly isStored: (name: string) => boolean;
  /** Takes reports of local blobs that are short or wrong, and of those that are whole again. Returns at once. */
  readonly suspicion: {
    suspect(name: string, digest: Digest): void;
    clear(name: string, digest: Digest): void;
  };
}

/** Options of the pull API; times in milliseconds. */
export interface ProxyOptions {
  /** Where a refused push sends people. */
  readonly pushHost: string;
  /** Our name in `Via`: a request that carries it is a loop. */
  readonly via: string;
  /** Who sends the bytes of local blobs: this process, or nginx from the local registry or from its files. */
  readonly delivery?: 'stream' | 'accel-proxy' | 'accel-file' | undefined;
  /** What becomes of the local registry's redirects to its storage: passed on to the client, or followed here. */
  readonly redirect?: 'pass' | 'stream' | undefined;
  /** To the headers of the primary's answer. */
  readonly primaryTimeout: number;
  /** To the headers of the secondary's answer. */
  readonly secondaryTimeout: number;
  /** A client that takes no byte for this long is dropped. */
  readonly readerTimeout: number;
}

/** Where an answer came from, for the log and the metrics. */
export type Origin = 'memory' | 'secondary' | 'primary' | 'fill' | 'stale';

declare module 'fastify' {
  interface FastifyRequest {
    answeredFrom: Origin | undefined;
    /** The client; set once its token is accepted. */
    caller: Caller;
    /** Who sends the bytes, where it is not this process. */
    deliveredBy: 'nginx' | 'storage' | undefined;
    /** What was asked for, and by whom; undefined where the path is not one of the API's. */
    note: Note | undefined;
    /** Why the answer is an error, is the local copy, or was cut; for the log and the page. */
    cause: string | undefined;
  }
}

/** What was decided about one manifest or list. */
export interface Found<T> {
  readonly value: T;
  readonly origin: Origin;
  /** Set where the primary could not be asked: the answer is the local copy. */
  readonly stale?: string;
  /** The same with the primary's answer or error; for the log. */
  readonly cause?: string;
}
