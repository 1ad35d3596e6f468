/** Rooms that are loaded only when a command needs them. */

/** Chart.js and the canvas take a moment to load. */
export async function reports(): Promise<typeof import('../../reports/index.ts')> {
  return import('../../reports/index.ts');
}
