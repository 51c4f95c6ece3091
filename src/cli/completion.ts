// The command `completion`: scripts that complete commands and options in bash, zsh and fish.
import type { Option } from 'commander';
import { isFile, type Declared, type DeclaredCommand } from './declared.ts';

/** The shells that there is a script for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

type Shell = (typeof SHELLS)[number];

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined);
}

/** The flags of all commands whose value is a file. */
function fileFlags({ options, commands }: Declared): string[] {
  const all = [...options, ...commands.flatMap((command) => command.options)];
  return [...new Set(all.filter(isFile).flatMap(flagsOf))];
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function namesOf({ commands }: Declared): string[] {
  return commands.flatMap(({ name, aliases }) => [name, ...aliases]);
}

function functionName({ name }: Declared): string {
  return `_${name.replaceAll('-', '_')}`;
}

function bash(declared: Declared): string {
  const { name, options, commands } = declared;
  const common = options.flatMap(flagsOf);
  const files = fileFlags(declared);
  const cases = commands.map((command) => {
    const words = [...command.words, ...command.options.flatMap(flagsOf), ...common].join(' ');
    return `    ${[command.name, ...command.aliases].join('|')}) words=${quoted(words)} ;;`;
  });
  return `# ${name} completion for bash: source <(${name} completion bash)
${functionName(declared)}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command='' words word
  case $prev in
    ${files.join('|')}) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in ${namesOf(declared).join('|')}) command=$word; break ;; esac
  done
  case $command in
${cases.join('\n')}
    *) words=${quoted([...namesOf(declared), 'help', ...common].join(' '))} ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F ${functionName(declared)} ${name}
`;
}

function zshItem(word: string, description: string): string {
  return quoted(`${word.replaceAll(':', '\\:')}:${description}`);
}

function optionItems(some: readonly Option[]): string {
  return some.flatMap((option) => flagsOf(option).map((flag) => zshItem(flag, option.description))).join(' ');
}

function zsh(declared: Declared): string {
  const { name, options, commands } = declared;
  const cases = commands.map((command) => {
    const words = command.words.length === 0 ? '' : ` words=(${command.words.map(quoted).join(' ')})`;
    return `    ${[command.name, ...command.aliases].join('|')}) options+=(${optionItems(command.options)})${words} ;;`;
  });
  const items = commands.flatMap((command) =>
    [command.name, ...command.aliases].map((word) => zshItem(word, command.description)),
  );
  const files = fileFlags(declared);
  return `#compdef ${name}
# ${name} completion for zsh: ${name} completion zsh > "\${fpath[1]}/_${name}"
${functionName(declared)}() {
  local command='' word
  local -a commands options words_
  commands=(${items.join(' ')})
  options=(${optionItems(options)})
  case $words[CURRENT-1] in
    ${files.join('|')}) _files; return ;;
  esac
  for word in \${words[2,CURRENT-1]}; do
    case $word in ${namesOf(declared).join('|')}) command=$word; break ;; esac
  done
  case $command in
${cases.join('\n').replaceAll(' words=(', ' words_=(')}
    *) _describe -t commands command commands ;;
  esac
  (( $#words_ )) && compadd -- $words_
  _describe -o -t options option options
}
if [ "$funcstack[1]" = '_${name}' ]; then ${functionName(declared)} "$@"; else compdef ${functionName(declared)} ${name}; fi
`;
}

function fishOption(option: Option, start: string): string {
  const { short, long, description, required } = option;
  const flags = [...(short ? [`-s ${short.slice(1)}`] : []), ...(long ? [`-l ${long.slice(2)}`] : [])];
  const value = required ? [isFile(option) ? '-r -F' : '-x'] : [];
  return [start, ...flags, ...value, `-d ${fishQuoted(description)}`].join(' ');
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function fishCommand(command: DeclaredCommand, start: string): string[] {
  const names = [command.name, ...command.aliases];
  const seen = `${start} -n ${fishQuoted(`__fish_seen_subcommand_from ${names.join(' ')}`)}`;
  return [
    ...names.map((one) => `${start} -n __fish_use_subcommand -a ${one} -d ${fishQuoted(command.description)}`),
    ...command.words.map((word) => `${seen} -a ${word}`),
    ...command.options.map((option) => fishOption(option, seen)),
  ];
}

function fish({ name, options, commands }: Declared): string {
  const start = `complete -c ${name}`;
  return [
    `# ${name} completion for fish: ${name} completion fish > ~/.config/fish/completions/${name}.fish`,
    `${start} -f`,
    ...options.map((option) => fishOption(option, start)),
    ...commands.flatMap((command) => fishCommand(command, start)),
    '',
  ].join('\n');
}

/** The script of a shell. */
export function completionOf(declared: Declared, shell: Shell): string {
  return { bash, zsh, fish }[shell](declared);
}
