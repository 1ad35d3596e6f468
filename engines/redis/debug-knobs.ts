/** After so many ms the peak of a reply buffer is forgotten. */
export const REPLY_PEAK_MS = 5_000;

/** What DEBUG changes for the sake of tests, as no setting does. */
export class DebugKnobs {
  /** DEBUG AOF-FLUSH-SLEEP: µs that the server sleeps before it writes to the append-only file. */
  aofFlushSleepUs = 0;
  /** DEBUG SET-SKIP-CHECKSUM-VALIDATION: RESTORE takes any checksum. */
  skipsChecksums = false;
  /** DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may call every command. */
  scriptsMayAll = false;
  /** DEBUG REPLYBUFFER PEAK-RESET-TIME in ms; negative: never. */
  replyPeakMs = REPLY_PEAK_MS;
  /** DEBUG PAUSE-CRON: nothing periodic is done. */
  pausesCron = false;
  /** DEBUG REPLYBUFFER RESIZING. */
  resizesReplyBuffers = true;
}
