// What the admin listener answers, as the page and scripts read it: types alone, which import nothing. Times are ISO 8601
// in UTC, `…Ms` milliseconds, bytes plain numbers; null what is not known or not so.
export type * from './api/snapshot.ts';
export type * from './api/pulls.ts';
export type * from './api/content.ts';
export type * from './api/attention.ts';
