/** SAVE, LASTSAVE and DEBUG RELOAD. */
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { emptyDb } from '../db.ts';
import { LOG_WARNING } from '../log-levels.ts';
import { diskErrorText } from '../persistence/persistence.ts';
import { RdbLoadError } from '../persistence/rdb-load.ts';
import { addReplyError, addReplyLong, addReplyOk, addReplyProto } from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';

const NO_DISK = 'this server has no disk';

function save(core: RedisCore, c: Client): void {
  if (core.disk === null) addReplyError(c, NO_DISK);
  else if (core.persistence.save()) addReplyOk(c);
  // The reason is in the log, as with the original.
  else addReplyProto(c, '-ERR\r\n');
}

/** DEBUG RELOAD [MERGE] [NOFLUSH] [NOSAVE]: saves, empties and loads everything. */
export function debugReload(core: RedisCore, c: Client): void {
  let merge = false;
  let flush = true;
  let saveFirst = true;
  for (let i = 2; i < c.argc; i++) {
    if (c.argIs(i, 'merge')) merge = true;
    else if (c.argIs(i, 'noflush')) flush = false;
    else if (c.argIs(i, 'nosave')) saveFirst = false;
    else {
      addReplyError(c, 'DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.');
      return;
    }
  }
  if (core.disk === null) {
    addReplyError(c, NO_DISK);
    return;
  }
  if (saveFirst && !core.persistence.save()) {
    addReplyProto(c, '-ERR\r\n');
    return;
  }
  if (flush) for (const db of core.dbs) emptyDb(core, db);
  try {
    core.persistence.load(merge);
  } catch (error) {
    if (!(error instanceof RdbLoadError)) throw error;
    core.log(LOG_WARNING, diskErrorText(error));
    addReplyError(c, 'Error trying to load the RDB dump, check server logs.');
    return;
  }
  core.log(LOG_WARNING, 'DB reloaded by DEBUG RELOAD');
  addReplyOk(c);
}

export const persistenceProcs: Readonly<Record<string, CommandProc>> = {
  save,
  lastsave: (core, c) => addReplyLong(c, core.persistence.lastSave),
};
