// How commands end, for scripts.

/**
 * Wrong usage ends with 2, whatever cannot be done with 1; these are the other ends. `refused`: `serve` alone, so that a
 * supervisor knows that another start would end the same way (EX_CONFIG of sysexits.h; units name it).
 */
export const EXIT = { ok: 0, failed: 1, attention: 3, refused: 78, interrupted: 130 } as const;
