/** What stands in the way of a release, a line each. */
export function troublesOf(version: string, changelog: string): string[];
/** Makes all files of a release in a folder. */
export function makeRelease(folder: string): Promise<void>;
