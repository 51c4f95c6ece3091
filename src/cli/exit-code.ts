// How commands end, for scripts.

/** Wrong usage ends with 2, whatever cannot be done with 1; these are the other ends. */
export const EXIT = { ok: 0, failed: 1, attention: 3, interrupted: 130 } as const;
