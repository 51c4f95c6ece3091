// The declaration as people read it: the table of docs/configuration.md and the text of --help.
import type { Variable } from './variable.ts';
import { variables } from './variables.ts';

/** The table of docs/configuration.md as Markdown, without a line end after the last row. */
export function configurationTable(): string {
  const rows = declared().map((variable) => `| \`${variable.name}\` | ${defaultOf(variable)} | ${helpOf(variable)} |`);
  return ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n');
}

/** The same table as plain text for a terminal: a line with name and default, and one with the meaning. */
export function configurationHelp(): string {
  const width = Math.max(...declared().map(({ name }) => name.length));
  const entries = declared().map((variable) => {
    const { name } = variable;
    return `  ${name.padEnd(width)}  ${plain(defaultOf(variable))}\n      ${plain(helpOf(variable))}`;
  });
  return ['Configuration, by environment variables (name, default, meaning):', ...entries].join('\n');
}

/** Every variable with its default and meaning, as plain text. */
export function configurationEntries(): { readonly name: string; readonly fallback: string; readonly help: string }[] {
  return declared().map((variable) => ({
    name: variable.name,
    fallback: plain(defaultOf(variable)) || 'none',
    help: plain(helpOf(variable)),
  }));
}

function declared(): Variable[] {
  return Object.values(variables);
}

function defaultOf({ shown, default: text, required }: Variable): string {
  if (shown !== undefined) return shown;
  return required ? 'required' : `\`${text}\``;
}

function helpOf({ name, help, secret }: Variable): string {
  return secret ? `${help}; or \`${name}_FILE\`: a file that holds it` : help;
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '');
}
