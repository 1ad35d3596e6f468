/** What the server's thread and the one that syncs files tell each other: one file at a time. */
/** Jobs given so far, and those of them that are done. Both only grow; whoever waits for one sleeps on it. */
export const SYNC_GIVEN = 0;
export const SYNC_DONE = 1;
/** Length of the text of the last job's error, which follows the cells; 0: it went well. */
export const SYNC_ERROR_LENGTH = 2;
/** The thread has ended by itself. */
export const SYNC_DEAD = 3;
/** The number of the file that is to be synced. */
export const SYNC_FILE = 4;
export const SYNC_CELLS = 5;
export const ERROR_BYTES = 512;
