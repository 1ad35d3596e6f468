/** Chooses the kind of target that a specification asks for. */
import type { TargetSpec } from '../../scenarios/spec.ts';
import { createLocalTarget } from './local-target.ts';
import { createRemoteTarget, type RemoteOptions } from './remote-target.ts';
import type { ServerKeeper } from './server-keeper.ts';
import type { Target } from './target.ts';

/** @throws TargetError when a remote's URL cannot be read */
export function createTarget(spec: TargetSpec, keeper: ServerKeeper, options: RemoteOptions): Target {
  return spec.kind === 'remote' ? createRemoteTarget(spec, options) : createLocalTarget(spec, keeper);
}
