/** Waiting in tests: for conditions, with a bound that only a hang reaches. */

const LOOK_EVERY_MS = 5;

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something is so. @throws Error after `ms` */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`Waited ${ms} ms in vain until ${what}`);
    await sleep(LOOK_EVERY_MS);
  }
}
