// `ballast devices`: what can compute here, and of what cannot, why.

import { Command } from 'commander';
import { listDevices } from '../index.js';
import { printJson, printTable } from './tables.js';

const examples = `
Examples:
  $ ballast devices
  $ ballast devices --json`;

export function devicesCommand(): Command {
  const command = new Command('devices')
    .summary('devices of this machine')
    .description('Devices of this machine; for those that are not available, why.')
    .option('--json', 'print the list as JSON')
    .addHelpText('after', examples);
  return command.action(() => {
    const devices = listDevices();
    if (command.opts().json) return printJson({ devices });
    printTable(
      devices.map(({ name, available, description }) => [
        name,
        available ? 'yes' : 'no',
        description,
      ]),
      ['device', 'available', 'what it is, or why it is not there'],
    );
  });
}
