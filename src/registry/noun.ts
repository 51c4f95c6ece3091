// What the nouns of a registry share: its client, and how an answer becomes a value or a failure.
import { found, unusable, type Answer } from './answer.ts';
import type { Classify, NounName } from './classify.ts';
import type { Client } from './client.ts';
import { discard, type RegistryResponse } from './response.ts';

/** Manifests, blobs, uploads or lists of one registry. */
export abstract class Noun {
  protected readonly client: Client;
  protected readonly classify: Classify;

  constructor(client: Client, classify: Classify) {
    this.client = client;
    this.classify = classify;
  }

  /** The value of an answer with one of these statuses, whose body is discarded; the failure that any other one means. */
  protected async conclude<T>(
    response: RegistryResponse,
    name: NounName,
    statuses: readonly number[],
    value: () => T,
  ): Promise<Answer<T>> {
    if (!statuses.includes(response.statusCode)) return this.classify(response, name);
    discard(response);
    return found(value());
  }

  protected unusable(reason: string): ReturnType<typeof unusable> {
    return unusable(this.client.registry, reason);
  }
}
