/** Takes over what a stopped server has left in its memory file, and leaves it so. What the file of meta data says of it: restart-meta.ts. */
import type { Core } from './core.ts';
import type { RestartState } from './restart-meta.ts';
import { markPages, PageRestorer } from './restart-pages.ts';

/** Beyond this the items' clock never is: it is an unsigned 32-bit number. */
const CLOCK_MAX_S = 2 ** 31;

/**
 * Makes a core go on where a server has stopped: called once, before other threads and connections. With damage it starts with a clean cache.
 * @returns null, or what is damaged
 */
export function restoreCore(core: Core, state: RestartState): string | null {
  const { items, settings } = core;
  // The clock goes on from where it stopped, by the time that has passed: whether the time of the day was set meanwhile does not matter.
  const now = state.currentTime + Math.floor(core.clock.wallMs() / 1000) - state.stopTime;
  const damage =
    now < state.currentTime || now > CLOCK_MAX_S
      ? `its clock, ${state.currentTime}, does not fit to the time of the day`
      : new PageRestorer(items, settings.memoryRegion!, state.oldBase).restore();
  if (damage !== null) {
    items.slabs.fillRegion();
    items.slabs.preallocate();
    return damage;
  }
  core.continueClock(state.processStarted, now);
  items.oldestLive = state.oldestLive;
  items.oldestCas = state.oldestCas;
  items.casIds.last = state.currentCas;
  core.logger.lastGid = state.loggerGid;
  return null;
}

/** What `restoreCore` wants to know of a server that has stopped; all is ready in the memory file afterwards. */
export function prepareRestart(core: Core): RestartState {
  const { items } = core;
  markPages(items);
  return {
    currentTime: items.now,
    processStarted: items.processStarted,
    stopTime: Math.floor(core.clock.wallMs() / 1000),
    // Counts one, as the original's does.
    currentCas: items.casIds.next(),
    oldestCas: items.oldestCas,
    loggerGid: core.logger.lastGid,
    hashPower: items.table.power,
    oldestLive: items.oldestLive,
    oldBase: core.settings.memoryRegion!.offset,
  };
}
