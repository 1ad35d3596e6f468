/**
 * Up to where containers stay in their compact encodings: copies of the settings of these names, where functions that know only the
 * heap find them. `applyConfig` keeps them current.
 */
export class TypeLimits {
  hashMaxListpackEntries = 512;
  hashMaxListpackValue = 64;
  listMaxListpackSize = -2;
  listCompressDepth = 0;
  setMaxIntsetEntries = 512;
  zsetMaxListpackEntries = 128;
  zsetMaxListpackValue = 64;
  hllSparseMaxBytes = 3000;
  streamNodeMaxBytes = 4096;
  streamNodeMaxEntries = 100;

  /** Takes over the settings. */
  copyFrom(settings: Readonly<Record<keyof Omit<TypeLimits, 'copyFrom'>, number>>): void {
    this.hashMaxListpackEntries = settings.hashMaxListpackEntries;
    this.hashMaxListpackValue = settings.hashMaxListpackValue;
    this.listMaxListpackSize = settings.listMaxListpackSize;
    this.listCompressDepth = settings.listCompressDepth;
    this.setMaxIntsetEntries = settings.setMaxIntsetEntries;
    this.zsetMaxListpackEntries = settings.zsetMaxListpackEntries;
    this.zsetMaxListpackValue = settings.zsetMaxListpackValue;
    this.hllSparseMaxBytes = settings.hllSparseMaxBytes;
    this.streamNodeMaxBytes = settings.streamNodeMaxBytes;
    this.streamNodeMaxEntries = settings.streamNodeMaxEntries;
  }
}
