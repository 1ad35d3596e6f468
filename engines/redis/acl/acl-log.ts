/** What ACL LOG shows: attempts that were refused, the newest first; the same attempt within a minute is counted instead of repeated. */

export type AclLogReason = 'command' | 'key' | 'auth' | 'channel';
export type AclLogContext = 'toplevel' | 'multi' | 'lua';

export interface AclLogEntry {
  count: number;
  readonly reason: AclLogReason;
  readonly context: AclLogContext;
  /** The command, key or channel that was refused. */
  readonly object: string;
  readonly username: string;
  /** When it happened last, in ms since the epoch. */
  timeMs: number;
  /** The client's line of CLIENT LIST. */
  client: string;
}

const GROUPING_MS = 60_000;
/** How many of the newest entries are compared with a new one. */
const COMPARED_ENTRIES = 10;

export class AclLog {
  readonly entries: AclLogEntry[] = [];

  add(entry: AclLogEntry, maxEntries: number): void {
    const like = this.entries.findIndex(
      (one, i) =>
        i < COMPARED_ENTRIES &&
        one.reason === entry.reason &&
        one.context === entry.context &&
        entry.timeMs - one.timeMs <= GROUPING_MS &&
        one.object === entry.object &&
        one.username === entry.username,
    );
    if (like >= 0) {
      const [known] = this.entries.splice(like, 1);
      known!.count++;
      known!.timeMs = entry.timeMs;
      known!.client = entry.client;
      this.entries.unshift(known!);
      return;
    }
    this.entries.unshift(entry);
    if (this.entries.length > maxEntries) this.entries.length = maxEntries;
  }

  clear(): void {
    this.entries.length = 0;
  }
}
