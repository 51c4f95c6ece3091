// What the admin listener answers; the program declares it.
export type * from '../src/status/api.ts';
