// Why removals wait, in people's words: one text for the page, the commands and the API's readers.
import type { Suspension } from '../replication/suspension.ts';

/** Why removals wait, as a sentence without its end. */
export function whyRemovalsWait({ because, isCompared }: Suspension): string {
  if (because === 'other primary') return 'all wait, since the primary is another than before (GEO_PRIMARY_URL)';
  const until = isCompared ? 'a person confirms' : 'everything was compared';
  return `those of what was never seen at the primary wait until ${until}, since replication began anew here`;
}
