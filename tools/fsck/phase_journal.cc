// SPDX-License-Identifier: BSD-2-Clause
// The journal: every committed record that home may lack is valid; then it is applied, so that the
// phases after this one see what a mount would see.
#include "fs/core/replay.h"
#include "tools/fsck/context.h"

namespace mirdax::fsck {

bool CheckJournal(CheckContext& context) {
  const Lsn tail = context.report.private_block.tail;
  const Lsn commit = context.report.commit;
  Lsn lsn = tail;
  while (lsn < commit) {
    context.Progress("journal", lsn - tail, commit - tail);
    const Result<JournalRecord> record = ReadRecord(context.region, context.geometry, lsn, commit);
    if (!record) {
      context.Add(FindingCode::kJournalBad, record.error().message);
      break;
    }
    lsn += record->header.length;
    ++context.report.records_replayed;
  }
  if (const Result<Lsn> replayed = ReplayJournal(context.region, context.geometry, tail, lsn);
      !replayed) {
    context.Add(FindingCode::kJournalBad, replayed.error().message);
  }
  // What follows a bad record is lost to home: the rest is checked as far as it goes.
  return true;
}

}  // namespace mirdax::fsck
