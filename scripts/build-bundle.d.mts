/** Builds the bundle into a folder, dist unless told; answers the program by itself, as CommonJS. */
export function buildBundle(folder?: string): Promise<string>;
