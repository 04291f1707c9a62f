/**
 * Ids of the channels that somebody listens to, asleep or not: at the end of the process these are told. A module's state outlives the objects that
 * hibernate, and ends with their sockets.
 */
const listened = new Set<string>();

export function noteListened(id: string, isListened: boolean): void {
  if (isListened) listened.add(id);
  else listened.delete(id);
}

export function listenedChannels(): string[] {
  return [...listened];
}
