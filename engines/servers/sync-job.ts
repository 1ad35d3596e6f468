/** What the server's thread and the one that syncs files tell each other: a ring of files, each to be synced, and perhaps closed then. */
/** Jobs given so far, and those of them that are done. Both only grow; whoever waits for one sleeps on it. */
export const SYNC_GIVEN = 0;
export const SYNC_DONE = 1;
/** Length of the text of the last job's error, which follows the cells; 0: it went well. */
export const SYNC_ERROR_LENGTH = 2;
/** The thread has ended by itself. */
export const SYNC_DEAD = 3;
/** Then two cells for each place in the ring: the file's number, and 1 if it is to be closed. */
export const SYNC_RING = 4;
export const RING_PLACES = 8;
export const SYNC_CELLS = SYNC_RING + 2 * RING_PLACES;
export const ERROR_BYTES = 512;
