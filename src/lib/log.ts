// The part of a pino logger that rooms use, so that they need not know the logger.

/** Writes one structured line: fields, then a message in plain words. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
