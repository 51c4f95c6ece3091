// A client's product out of its User-Agent: `docker/28.2`.
import { detached } from '../lib/lru.ts';

// The log needs no more of a version than two numbers, without the `v` before them.
const PRODUCT = /^([A-Za-z][\w.+-]{0,39})(?:\/v?(\d{1,6}(?:\.\d{1,6})?))?/;

/** The first product of a User-Agent, its version cut to two numbers; undefined where there is none. */
export function productOf(agent: string | undefined): string | undefined {
  const found = agent === undefined ? null : PRODUCT.exec(agent);
  if (!found) return undefined;
  const [, name = '', version] = found;
  return detached(version === undefined ? name : `${name}/${version}`);
}
