// The command `promote-check`: whether this secondary is whole, so that its site may become the primary.
import type { Config } from '../config/config.ts';
import { visibleText } from '../status/figures.ts';
import { promotionOf, type Promotion, type PromotionVerdict } from '../status/promotion.ts';
import { EXIT } from './exit-code.ts';
import { withSite } from './site.ts';
import { columnsOf, createStyle, wrapped, type Style } from './terminal.ts';

function markOf(verdict: PromotionVerdict, style: Style): string {
  switch (verdict) {
    case 'ok':
      return style.good('✓');
    case 'no':
      return style.bad('✗');
    case 'unknown':
      return style.warn('?');
    case 'note':
      return style.dim('·');
  }
}

function sentenceOf({ promotable }: Promotion, site: string): string {
  if (promotable === null) return `Whether ${site} may be promoted cannot be told.`;
  return promotable ? `${site} may be promoted: see docs/failover.md.` : `${site} is not whole: do not promote it yet.`;
}

function linesOf(promotion: Promotion, site: string, style: Style, columns: number): string[] {
  const checks = promotion.checks.flatMap(({ verdict, text, advice }) => {
    const [first = '', ...rest] = wrapped(visibleText(text), columns - 2);
    const advised =
      advice === null || verdict === 'ok' ? [] : wrapped(advice, columns - 4).map((line) => `    ${style.dim(line)}`);
    return [`${markOf(verdict, style)} ${first}`, ...rest.map((line) => `  ${line}`), ...advised];
  });
  return [...checks, '', style.strong(sentenceOf(promotion, visibleText(site)))];
}

/** Prints what was found; answers 0 where it may be promoted, 3 where not, 1 where it cannot be told. */
export function promoteCheck(config: Config, { json }: { readonly json?: true }): Promise<number> {
  return withSite(config, async ({ administration }) => {
    const { stdout } = process;
    const snapshot = await administration.snapshot();
    const promotion = promotionOf(snapshot, Date.now());
    if (json) stdout.write(`${JSON.stringify({ site: snapshot.site, ...promotion }, null, 2)}\n`);
    else stdout.write(`${linesOf(promotion, snapshot.site, createStyle(stdout), columnsOf(stdout)).join('\n')}\n`);
    if (promotion.promotable === null) return EXIT.failed;
    return promotion.promotable ? EXIT.ok : EXIT.attention;
  });
}
