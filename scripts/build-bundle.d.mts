/** Builds the bundle into a folder, dist unless told. */
export function buildBundle(folder?: string): Promise<void>;
