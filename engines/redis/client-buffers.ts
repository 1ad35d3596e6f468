/** The allocations that stand for one client. All offsets are 0 where the arena had no room. */
export class ClientMemory {
  readonly parts: number[] = [];
  replyBuffer = 0;
  /** Usable bytes of the reply buffer. */
  replyRoom = 0;
  replyPeakSinceMs = 0;
  queryBuffer = 0;
  /** Bytes that the query buffer has room for. */
  queryRoom = 0;
  /** A long argument has come since the cron last looked. */
  longArgument = false;
  /** Whether the addresses have been asked for: the original makes their texts then, and keeps them. */
  named = false;
}
