// Facts by name, as JSON texts.
import type { Prepare } from '../statements.ts';

const SET = 'INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value';

/** @see RowStore.setFact */
export function setFact(prepare: Prepare, name: string, json: string): void {
  prepare(SET).run(name, json);
}

/** The JSON text, undefined where there is none. @see RowStore.getFact */
export function getFact(prepare: Prepare, name: string): string | undefined {
  return prepare('SELECT value FROM facts WHERE name = ?').get(name)?.['value'] as string | undefined;
}
