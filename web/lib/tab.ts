// The browser's tab: title and icon say how the site is.
import type { Judgement, Tone } from './judgement.ts';

const COLOURS: Readonly<Record<Tone, string>> = {
  ok: '#1f9d63',
  warning: '#e08a00',
  error: '#e03131',
  neutral: '#8a94a4',
};
// Shape as well as colour: a tick, an exclamation mark, a cross, dots.
const SHAPES: Readonly<Record<Tone, string>> = {
  ok: 'm19.4 23.4 2.6 2.6 4.8-5.2',
  warning: 'M23 19.4v4.2M23 26.6v.1',
  error: 'm20.2 20.2 5.6 5.6m0-5.6-5.6 5.6',
  neutral: 'M19.6 23h.1M23 23h.1M26.3 23h.1',
};

function iconOf(tone: Tone): string {
  const line = 'fill="none" stroke="#fff" stroke-linejoin="round" stroke-linecap="round"';
  const svg = [
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">',
    '<rect width="29" height="29" rx="7" fill="#4655d4"/>',
    `<path d="m7.5 9 6.5-3.2L20.5 9v10L14 22.3 7.5 19zM7.9 9.3 14 12.4l6.1-3.1M14 12.4v9.6" ${line} stroke-width="2.2"/>`,
    `<circle cx="23" cy="23" r="8.5" fill="${COLOURS[tone]}" stroke="#fff" stroke-width="1.5"/>`,
    `<path d="${SHAPES[tone]}" ${line} stroke-width="2.4"/></svg>`,
  ];
  return `data:image/svg+xml,${encodeURIComponent(svg.join(''))}`;
}

/** Shows the judgement in the tab: `(2) Degraded · berlin`. */
export function showInTab(site: string, judgement: Judgement | undefined, isLost: boolean): void {
  const icon = document.querySelector<HTMLLinkElement>('link[rel=icon]')!;
  if (!judgement) {
    document.title = `${site || 'geo-registry-proxy'}`;
    return;
  }
  const count = judgement.problems.length > 0 ? `(${judgement.problems.length}) ` : '';
  document.title = isLost ? `Connection lost · ${site}` : `${count}${judgement.word} · ${site}`;
  const href = iconOf(isLost ? 'neutral' : judgement.tone);
  if (icon.href !== href) icon.href = href;
}
