/**
 * What the crawler saw in each LRU when it last went through it for the maintainer, and when it is to go again (items.c:
 * lru_maintainer_crawler_check). Seconds until expiry are counted by the minute, up to an hour: where something is worth freeing soon, the
 * crawler comes soon, elsewhere after at most an hour.
 */
import { CLASS_MASK, LRU_COUNT } from './layout.ts';

const MINUTES = 61;
const HOUR_S = 3_600;
const MINUTE_S = 60;
/** No list is crawled again before so many seconds have passed. */
const RETRY_S = 5;

/** For those who watch: the maintainer's reckoning of one list. */
export interface CrawlerStatus {
  readonly lruId: number;
  readonly lowMark: number;
  readonly nextReclaims: number;
  readonly sinceRunS: number;
  readonly nextRunS: number;
  readonly elapsedS: number;
  readonly examined: number;
  readonly reclaimed: number;
}

const LRU_NAMES = ['hot', 'warm', 'cold', 'temp'];

/** The event log's line, behind `gid=`. */
export function crawlerStatusText(status: CrawlerStatus): string {
  const { lruId, lowMark, nextReclaims, sinceRunS, nextRunS, elapsedS, examined, reclaimed } = status;
  return (
    `type=lru_crawler crawler=${lruId & CLASS_MASK} lru=${LRU_NAMES[lruId >> 6]} low_mark=${lowMark} ` +
    `next_reclaims=${nextReclaims} since_run=${sinceRunS} next_run=${nextRunS} elapsed=${elapsedS} ` +
    `examined=${examined} reclaimed=${reclaimed}`
  );
}

export class CrawlStatistics {
  readonly #seen = new Float64Array(LRU_COUNT);
  readonly #withoutExpiry = new Float64Array(LRU_COUNT);
  readonly #reclaimed = new Float64Array(LRU_COUNT);
  readonly #minutes = new Float64Array(LRU_COUNT * MINUTES);
  readonly #startTime = new Float64Array(LRU_COUNT);
  readonly #endTime = new Float64Array(LRU_COUNT);
  readonly #isComplete = new Uint8Array(LRU_COUNT);
  readonly #nextCrawl = new Float64Array(LRU_COUNT);
  readonly #wait = new Float64Array(LRU_COUNT);

  /** A new round begins. */
  begin(now: number): void {
    for (const values of [this.#seen, this.#withoutExpiry, this.#reclaimed, this.#minutes, this.#endTime])
      values.fill(0);
    this.#isComplete.fill(0);
    this.#startTime.fill(now);
  }

  sawExpired(lruId: number): void {
    this.#reclaimed[lruId]++;
  }

  /** @param exptime relative seconds, 0: never */
  sawAlive(lruId: number, exptime: number, now: number): void {
    this.#seen[lruId]++;
    if (exptime === 0) this.#withoutExpiry[lruId]++;
    else if (exptime - now < HOUR_S) this.#minutes[lruId * MINUTES + Math.floor((exptime - now) / MINUTE_S)]++;
  }

  done(lruId: number, now: number): void {
    this.#endTime[lruId] = now;
    this.#isComplete[lruId] = 1;
  }

  /**
   * Reckons up the lists that are done, and finds those whose time has come.
   * @param due gets a 1 at the id of each
   * @returns whether there are any
   */
  plan(now: number, due: Uint8Array, report: ((status: CrawlerStatus) => void) | null): boolean {
    let any = false;
    for (let id = 1; id < LRU_COUNT; id++) {
      due[id] = 0;
      if (this.#isComplete[id] === 1) {
        this.#reckon(id, now, report);
        this.#isComplete[id] = 0;
      }
      if (now <= this.#nextCrawl[id]) continue;
      due[id] = 1;
      any = true;
      this.#nextCrawl[id] = now + RETRY_S;
    }
    return any;
  }

  /** When to go again: the sooner the more there is to free, at least one item in a hundred of those that expire at all. */
  #reckon(id: number, now: number, report: ((status: CrawlerStatus) => void) | null): void {
    const lowMark = Math.floor((this.#seen[id]! - this.#withoutExpiry[id]!) / 100) + 1;
    let available = 0;
    let wait = this.#wait[id]!;
    for (let minute = 0; minute < MINUTES - 1; minute++) {
      available += this.#minutes[id * MINUTES + minute]!;
      if (available <= lowMark) continue;
      if (wait < minute * MINUTE_S) wait += MINUTE_S;
      else if (wait >= MINUTE_S) wait -= MINUTE_S;
      break;
    }
    if (available === 0) wait += MINUTE_S;
    wait = Math.min(wait, HOUR_S);
    this.#wait[id] = wait;
    this.#nextCrawl[id] = now + wait + RETRY_S;
    report?.({
      lruId: id,
      lowMark,
      nextReclaims: available,
      sinceRunS: now - this.#endTime[id]!,
      nextRunS: wait + RETRY_S,
      elapsedS: this.#endTime[id]! - this.#startTime[id]!,
      examined: this.#seen[id]!,
      reclaimed: this.#reclaimed[id]!,
    });
  }
}
