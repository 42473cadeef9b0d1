/** The few functions that an operator may give. Settings are data; what data cannot say is here. */
export interface Hooks {
  /**
   * Where an address is, as "Lyon, France", for the device list. It decorates a page and decides nothing: an answer
   * that fails, or comes too late, leaves the place out.
   */
  placeOf?(ip: string): string | undefined | Promise<string | undefined>;
}
