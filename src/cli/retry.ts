// The command `retry`: what failed is tried again now.
import type { Config } from '../config/config.ts';
import { counted } from '../status/figures.ts';
import type { RepositoryFilter } from '../status/row-listing.ts';
import { EXIT } from './exit-code.ts';
import { requireKnown } from './known-repository.ts';
import { withSite } from './site.ts';

/** Makes failed and unsupported rows due now, and says how many; answers the exit code. */
export function retry(
  config: Config,
  { repository, cause, json }: { repository?: RepositoryFilter; cause?: string; json?: true },
): Promise<number> {
  return withSite(config, async ({ administration, isServed }) => {
    await requireKnown(administration, repository);
    const answer = await administration.retry(repository, { cause });
    const what = counted(answer.changed, 'tag or manifest', 'tags and manifests');
    const when = isServed ? 'tried again now' : 'tried again as soon as the proxy runs';
    process.stdout.write(json ? `${JSON.stringify(answer)}\n` : `${what} ${when}\n`);
    return EXIT.ok;
  });
}
