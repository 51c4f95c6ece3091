// The command `man`: the manual page as roff (man(7)), from the same declaration as the help.
import type { Option } from 'commander';
import { configurationEntries } from '../config/table.ts';
import { defaultOf, type Declared, type DeclaredCommand } from './declared.ts';

/** A text that roff prints as it is: no line of it is taken for a request. */
function plain(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll(/^(?=[.'])/gm, '\\&');
}

/** An argument of a request. */
function argument(text: string): string {
  return `"${plain(text).replaceAll('"', '\\(dq')}"`;
}

function entry(term: string, text: string): string[] {
  return ['.TP', `.B ${argument(term)}`, plain(text)];
}

function optionEntry(option: Option): string[] {
  const value = defaultOf(option);
  return entry(option.flags, value === undefined ? option.description : `${option.description} (default: ${value})`);
}

/** A text with its line ends, as exit codes are listed. */
function literal(text: string): string[] {
  return text === '' ? [] : ['.PP', '.nf', plain(text), '.fi'];
}

function commandSection({ usage, description, aliases, options, after }: DeclaredCommand): string[] {
  const also = aliases.length === 0 ? '' : ` Also: ${aliases.join(', ')}.`;
  const sentence = `${description.slice(0, 1).toUpperCase()}${description.slice(1)}.${also}`;
  return [`.SS ${argument(usage)}`, plain(sentence), ...options.flatMap(optionEntry), ...literal(after)];
}

/** The page, for section 8 (administration). */
export function manPage({ name, description, options, commands }: Declared, version: string): string {
  const variables = configurationEntries().flatMap(({ name: variable, fallback, help }) =>
    entry(variable, `${help}. Default: ${fallback}.`),
  );
  return [
    `.TH ${argument(name.toUpperCase())} 8 "" ${argument(`${name} ${version}`)} "System administration"`,
    '.SH NAME',
    `${plain(name)} \\- ${plain(description.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    `.B ${argument(name)}`,
    '[options]',
    '.I command',
    '[command options]',
    '.SH DESCRIPTION',
    plain(description),
    'It is configured by environment variables, which are listed below.',
    '.SH OPTIONS',
    'These are options of every command.',
    ...options.flatMap(optionEntry),
    '.SH COMMANDS',
    ...commands.flatMap(commandSection),
    '.SH ENVIRONMENT',
    ...variables,
    '',
  ].join('\n');
}
