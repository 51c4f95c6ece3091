/** What goes into the package; by default the project's version, and the Node of its own. */
export interface DebOptions {
  readonly folder?: string;
  /** Node's executable. */
  readonly node?: string;
  /** The architecture of `node`, by Node's name: `x64` or `arm64`. */
  readonly arch?: string;
  readonly version?: string;
}
/** Makes the package, and gives its path. */
export function buildDeb(options?: DebOptions): Promise<string>;
