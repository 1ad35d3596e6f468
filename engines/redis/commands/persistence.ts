/** SAVE, BGSAVE, LASTSAVE, SHUTDOWN and DEBUG RELOAD. */
import { systemText } from '../../base/system-text.ts';
import { adminOf } from '../admin.ts';
import type { Client } from '../client.ts';
import type { CommandProc } from '../command.ts';
import { LOADING_ERROR } from '../config-set.ts';
import { emptyDb } from '../db.ts';
import { LOG_NOTICE, LOG_WARNING } from '../log-levels.ts';
import { RdbLoadError } from '../persistence/rdb-load.ts';
import {
  addReplyError,
  addReplyLong,
  addReplyOk,
  addReplyProto,
  addReplyStatus,
  SYNTAX_ERROR,
} from '../protocol/reply.ts';
import type { RedisCore } from '../redis-core.ts';
import { serveOthers } from '../serve-others.ts';
import { ArenaExhausted } from '../structures/heap.ts';

const NO_DISK = 'this server has no disk';

function save(core: RedisCore, c: Client): void {
  const saver = core.persistence;
  if (core.disk === null) addReplyError(c, NO_DISK);
  else if (saver.saving && !saver.rewriting) addReplyError(c, 'Background save already in progress');
  else if (saver.saveCommanded()) addReplyOk(c);
  // The reason is in the log, as with the original.
  else addReplyProto(c, '-ERR\r\n');
}

function bgsave(core: RedisCore, c: Client): void {
  const schedule = c.argc === 2 && c.argIs(1, 'schedule');
  if (c.argc > 1 && !schedule) {
    addReplyError(c, SYNTAX_ERROR);
    return;
  }
  const saver = core.persistence;
  if (saver.saving && !saver.rewriting) {
    addReplyError(c, 'Background save already in progress');
  } else if (core.inExec || (saver.saving && schedule)) {
    // A transaction does not wait for a child to be started.
    saver.scheduled = true;
    addReplyStatus(c, 'Background saving scheduled');
  } else if (saver.saving) {
    addReplyError(
      c,
      "Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible.",
    );
  } else if (saver.saveInBackground() === 'started') {
    addReplyStatus(c, 'Background saving started');
  } else {
    addReplyProto(c, '-ERR\r\n');
  }
}

function bgrewriteaof(core: RedisCore, c: Client): void {
  const saver = core.persistence;
  if (saver.rewriting) {
    addReplyError(c, 'Background append only file rewriting already in progress');
  } else if (saver.saving || core.inExec) {
    saver.rewriteScheduled = true;
    addReplyStatus(c, 'Background append only file rewriting scheduled');
  } else if (saver.rewriteInBackground() === 'started') {
    addReplyStatus(c, 'Background append only file rewriting started');
  } else {
    addReplyError(c, "Can't execute an AOF background rewriting. Please check the server logs for more information.");
  }
}

/** What SHUTDOWN was asked to do. */
export interface ShutdownOptions {
  save: boolean;
  noSave: boolean;
  force: boolean;
}

export const noShutdownOptions: Readonly<ShutdownOptions> = { save: false, noSave: false, force: false };

/** SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT] */
function shutdown(core: RedisCore, c: Client): void {
  const options: ShutdownOptions = { save: false, noSave: false, force: false };
  let now = false;
  let abort = false;
  for (let i = 1; i < c.argc; i++) {
    if (c.argIs(i, 'nosave')) options.noSave = true;
    else if (c.argIs(i, 'save')) options.save = true;
    else if (c.argIs(i, 'now')) now = true;
    else if (c.argIs(i, 'force')) options.force = true;
    else if (c.argIs(i, 'abort')) abort = true;
    else {
      addReplyError(c, SYNTAX_ERROR);
      return;
    }
  }
  if ((abort && (now || options.save || options.noSave || options.force)) || (options.save && options.noSave)) {
    addReplyError(c, SYNTAX_ERROR);
  } else if (abort) {
    if (core.scheduledShutdown === null) {
      addReplyError(c, 'No shutdown in progress.');
      return;
    }
    core.scheduledShutdown = null;
    core.log(LOG_NOTICE, 'Shutdown manually aborted.');
    addReplyOk(c);
  } else if (!options.noSave && core.scripting?.timedOut === true) {
    // Half of what the script does must not be saved.
    addReplyError(c, core.scripting.busyError()!);
  } else {
    core.log(LOG_WARNING, 'User requested shutdown...');
    if (prepareShutdown(core, options)) adminOf(core).host.shutdown(0);
    else addReplyError(c, 'Errors trying to SHUTDOWN. Check logs.');
  }
}

/**
 * Puts the data in safety before an end, as configured or as asked for.
 * @returns false when that failed and the server should go on
 */
export function prepareShutdown(core: RedisCore, options: Readonly<ShutdownOptions>): boolean {
  const saver = core.persistence;
  // Half-loaded data must not replace those in the file.
  const save = options.save && !saver.loading;
  const noSave = options.noSave || saver.loading;
  if (endChildren(core, options.force) && finishAof(core) && finalSave(core, save, noSave, options.force)) return true;
  core.log(LOG_WARNING, 'Errors trying to shut down the server. Check the logs for more information.');
  return false;
}

/** Ends what is being written in the background. @returns false when the data lie nowhere else yet */
function endChildren(core: RedisCore, force: boolean): boolean {
  const saver = core.persistence;
  if (!saver.saving) return true;
  if (!saver.rewriting) {
    core.log(LOG_WARNING, 'There is a child saving an .rdb. Killing it!');
  } else {
    if (saver.aof.state === 'waiting') {
      core.log(LOG_WARNING, `Writing initial AOF${force ? '. Exit anyway.' : ", can't exit."}`);
      if (!force) return false;
    }
    core.log(LOG_WARNING, 'There is a child rewriting the AOF. Killing it!');
  }
  saver.abortSave();
  return true;
}

function finishAof(core: RedisCore): boolean {
  const { aof } = core.persistence;
  if (aof.state === 'off') return true;
  core.log(LOG_NOTICE, 'Calling fsync() on the AOF file.');
  try {
    aof.finish();
  } catch (error) {
    core.log(LOG_WARNING, `Fail to fsync the AOF file: ${systemText(error)}.`);
  }
  return true;
}

function finalSave(core: RedisCore, save: boolean, noSave: boolean, force: boolean): boolean {
  if (core.disk === null || !(save || (core.config.save.length > 0 && !noSave))) return true;
  core.log(LOG_NOTICE, 'Saving the final RDB snapshot before exiting.');
  if (core.persistence.save()) return true;
  core.log(
    LOG_WARNING,
    force ? 'Error trying to save the DB. Exit anyway.' : "Error trying to save the DB, can't exit.",
  );
  return force;
}

/** Unlike FLUSHALL this takes the function libraries too. */
function emptyEverything(core: RedisCore): void {
  for (const db of core.dbs) emptyDb(core, db);
  core.scripting?.functions.flush();
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
  if (core.disk === null || core.persistence.loading) {
    addReplyError(c, core.disk === null ? NO_DISK : LOADING_ERROR);
    return;
  }
  if (saveFirst && !core.persistence.save()) {
    addReplyProto(c, '-ERR\r\n');
    return;
  }
  if (flush) emptyEverything(core);
  try {
    core.persistence.load(merge, () => serveOthers(core, c));
  } catch (error) {
    if (!(error instanceof RdbLoadError)) throw error;
    core.log(LOG_WARNING, systemText(error));
    addReplyError(c, 'Error trying to load the RDB dump');
    return;
  }
  core.log(LOG_WARNING, 'DB reloaded by DEBUG RELOAD');
  addReplyOk(c);
}

/** DEBUG LOADAOF: empties everything and loads the append-only files. */
export function debugLoadAof(core: RedisCore, c: Client): void {
  const saver = core.persistence;
  if (core.disk === null || saver.loading) {
    addReplyError(c, core.disk === null ? NO_DISK : LOADING_ERROR);
    return;
  }
  if (saver.aof.state === 'on') saver.aof.flush(true);
  emptyEverything(core);
  let loaded = false;
  try {
    loaded = saver.loadAof(() => serveOthers(core, c));
  } catch (error) {
    if (error instanceof ArenaExhausted) throw error;
    core.log(LOG_WARNING, systemText(error));
  }
  if (!loaded) {
    addReplyError(c, 'Error trying to load the AOF files, check server logs.');
    return;
  }
  core.dirty = 0;
  core.effects.suppress();
  core.log(LOG_WARNING, 'Append Only File loaded by DEBUG LOADAOF');
  addReplyOk(c);
}

export const persistenceProcs: Readonly<Record<string, CommandProc>> = {
  save,
  bgsave,
  bgrewriteaof,
  shutdown,
  lastsave: (core, c) => addReplyLong(c, core.persistence.lastSave),
};
