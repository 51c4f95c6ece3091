// HTML as template literals: whatever is put into one is escaped unless it is HTML of this kind itself.
import { visibleText } from './figures.ts';

/** HTML that is safe to put into a page. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template takes; a list is written one after the other, undefined and false as nothing. */
export type Content = Html | string | number | undefined | false | readonly Content[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function textOf(content: Content): string {
  if (content instanceof Html) return content.text;
  if (Array.isArray(content)) return content.map(textOf).join('');
  if (content === undefined || content === false) return '';
  return visibleText(String(content)).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** Builds HTML; values are for text and for quoted attributes only. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.map((string, index) => string + textOf(values[index])).join(''));
}
