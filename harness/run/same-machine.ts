/** Whether an address is on the machine that measures: then its server's work is part of this machine's load. */
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import type { Endpoint } from '../driver/load-plan.ts';

/** @returns true also where a host name cannot be resolved: then nothing is claimed about whose work it is */
export async function isOnThisMachine(address: Endpoint['address']): Promise<boolean> {
  if (address.kind === 'unix') return true;
  const found = await lookup(address.host).catch(() => null);
  if (found === null || found.address.startsWith('127.')) return true;
  return Object.values(networkInterfaces()).some((own) => own?.some((one) => one.address === found.address));
}
