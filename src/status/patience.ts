// Waiting for no longer than is worth it.

/** What `work` resolves with, or `late` after `patience` ms. */
export async function unlessLate<T, L>(work: Promise<T>, patience: number, late: L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<L>((resolve) => {
    timer = setTimeout(resolve, patience, late);
  });
  return Promise.race([work, limit]).finally(() => clearTimeout(timer));
}
