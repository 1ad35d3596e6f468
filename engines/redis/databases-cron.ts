/** What the cron does for the databases: expiry, shrinking of tables that have become empty, rehashing. */
import { activeExpireCycle } from './expire.ts';
import type { RedisCore } from './redis-core.ts';
import { dictIsRehashing } from './structures/dict-layout.ts';
import { dictNeedsResize, dictRehashUntil, dictResize } from './structures/dict-rehash.ts';

const REHASH_US = 1_000;

export function databasesCron(core: RedisCore): void {
  if (core.activeExpireEnabled) activeExpireCycle(core, false);
  core.defrag.cron(core);
  const h = core.heap;
  for (const db of core.dbs) {
    if (dictNeedsResize(h, db.dict)) dictResize(h, db.dict);
    if (dictNeedsResize(h, db.expires)) dictResize(h, db.expires);
  }
  if (!core.config.activerehashing) return;
  const nowUs = () => core.clock.monoUs();
  for (let i = 0; i < core.dbs.length; i++) {
    const db = core.dbs[core.nextRehashDb % core.dbs.length];
    const dict = dictIsRehashing(h, db.dict) ? db.dict : dictIsRehashing(h, db.expires) ? db.expires : 0;
    if (dict !== 0) {
      // One table a call; the next call goes on with it until it is done.
      dictRehashUntil(h, dict, nowUs, nowUs() + REHASH_US);
      return;
    }
    core.nextRehashDb = (core.nextRehashDb + 1) % core.dbs.length;
  }
}
