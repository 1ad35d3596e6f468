/** Version that clients are told: that of the original whose behaviour this core shows. */
export const VERSION = '1.6.18';
