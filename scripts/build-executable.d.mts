/** Builds the executable of the program's text (CommonJS) into a file. */
export function buildExecutable(program: string, file: string): void;
