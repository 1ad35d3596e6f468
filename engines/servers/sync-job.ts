/** What the server's thread and the one that syncs files tell each other. */
/** 1: a sync is wanted or under way; the server sets it, the thread clears it. */
export const SYNC_STATE = 0;
/** Number of the file. */
export const SYNC_FILE = 1;
/** Length of the text of the last error, which follows the cells. */
export const SYNC_ERROR_LENGTH = 2;
export const SYNC_CELLS = 4;
export const ERROR_BYTES = 512;
