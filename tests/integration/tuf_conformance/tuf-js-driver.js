// SPDX-License-Identifier: Apache-2.0
// Drives tuf-js: one JSON command a line on standard input, one answer a line on standard output.
'use strict';

const readline = require('readline');
const { Updater } = require('tuf-js');

async function run(command) {
  const updater = new Updater({
    metadataDir: command.metadata,
    metadataBaseUrl: command.url + 'metadata',
    targetDir: command.targets,
    targetBaseUrl: command.url + 'targets',
    config: { fetchRetries: 0, fetchTimeout: 20000 },
  });
  await updater.refresh();
  for (const name of command.names) {
    const target = await updater.getTargetInfo(name);
    if (!target) throw new Error('no such target: ' + name);
    if (!(await updater.findCachedTarget(target))) await updater.downloadTarget(target);
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  run(command).then(
    () => console.log(JSON.stringify({ id: command.id, ok: true })),
    (error) => console.log(JSON.stringify({ id: command.id, ok: false, error: String(error) })),
  );
});
