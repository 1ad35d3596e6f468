/** Counters since the start or CONFIG RESETSTAT, named after the fields of INFO. */

export class Stats {
  totalConnectionsReceived = 0;
  totalCommandsProcessed = 0;
  totalNetInputBytes = 0;
  rejectedConnections = 0;
  expiredKeys = 0;
  /** Share (0 to 1) of keys that are logically expired but still there, as the expiry cycle estimates it. INFO shows percent. */
  expiredStalePerc = 0;
  expiredTimeCapReachedCount = 0;
  /** Microseconds that the expiry cycle has used. */
  expireCycleUsed = 0;
  evictedKeys = 0;
  evictedClients = 0;
  replyBufferShrinks = 0;
  replyBufferExpands = 0;
  /** Total time over maxmemory in µs, and when the present excess began (0: none). */
  totalEvictionExceededUs = 0;
  lastEvictionExceededUs = 0;
  keyspaceHits = 0;
  keyspaceMisses = 0;
  totalErrorReplies = 0;
  unexpectedErrorReplies = 0;
  totalReadsProcessed = 0;
  dumpPayloadSanitizations = 0;
  activeDefragHits = 0;
  clientQueryBufferLimitDisconnections = 0;
  clientOutputBufferLimitDisconnections = 0;
  /** Largest used memory seen. */
  peakMemory = 0;
}
