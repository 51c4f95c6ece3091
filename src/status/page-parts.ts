// The pieces that the status page is put together from.
import { fromNow, imageText } from './figures.ts';
import { html, type Content, type Html } from './html.ts';

/** A time as people say it, exact when they point at it. */
export function time(iso: string | null, now: number, none = '–'): Html {
  return iso === null ? html`${none}` : html`<time datetime="${iso}" title="${iso}">${fromNow(iso, now)}</time>`;
}

/** A tag or manifest; its direction of writing stays its own. */
export function name(repository: string, reference: string): Html {
  return html`<bdi>${imageText(repository, reference)}</bdi>`;
}

/** A table that scrolls by itself where the screen is narrow. */
export function table(heads: readonly string[], rows: readonly Html[]): Html {
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${heads.map((head) => html`<th>${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

/** One figure of a list, coloured by `look`. */
export function fact(term: string, value: Content, look: string | false = false, note?: Content): Html {
  const small = note === undefined ? undefined : html`<small>${note}</small>`;
  return html`<div class="${look}">
    <dt>${term}</dt>
    <dd>${value}${small}</dd>
  </div>`;
}
