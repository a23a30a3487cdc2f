// SPDX-License-Identifier: BSD-2-Clause
#include "tests/crash/poison_trap.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <mutex>

#include "fs/base/check.h"

namespace mirdax::crash {
namespace {

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

thread_local std::vector<PoisonTrap*> traps;
struct sigaction previous_action {};

}  // namespace

PoisonTrap::PoisonTrap(ImageRegion& region, Faults& faults) : region_(region), faults_(faults) {
  static std::once_flag installed;
  std::call_once(installed, [] {
    struct sigaction action {};
    action.sa_sigaction = [](int number, siginfo_t* info, void*) { OnFault(number, info); };
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, &previous_action);
    BadRanges::InstallHandler();
  });
  traps.push_back(this);
}

PoisonTrap::~PoisonTrap() {
  Disarm();
  Cure();
  std::erase(traps, this);
}

void PoisonTrap::Arm() {
  armed_ = true;
  MIRDAX_CHECK(mprotect(At(0), region_.size(), PROT_NONE) == 0);
}

void PoisonTrap::Disarm() {
  if (!armed_) return;
  armed_ = false;
  MIRDAX_CHECK(mprotect(At(0), region_.size(), kReadWrite) == 0);
}

// A pool is touched by loads and stores alone, never inside an allocation: so memory may be asked
// for here.
void PoisonTrap::OnFault(int number, void* info) noexcept {
  const auto address = reinterpret_cast<uintptr_t>(static_cast<siginfo_t*>(info)->si_addr);
  for (PoisonTrap* trap : traps)
    if (trap->Handle(address)) return;
  sigaction(number, &previous_action, nullptr);
}

bool PoisonTrap::Handle(uintptr_t address) {
  const auto begin = reinterpret_cast<uintptr_t>(At(0));
  if (!armed_ || address < begin || address - begin >= region_.size()) return false;
  const uint64_t offset = (address - begin) / kBlockSize * kBlockSize;
  MIRDAX_CHECK(mprotect(At(offset), kBlockSize, kReadWrite) == 0);
  if (region_.bad().Overlaps(offset, kBlockSize)) return true;
  if (!faults_.Strikes(faults_.plan().kind)) return true;
  const Faults::Aside aside;
  Page page{.offset = offset, .bytes = {}};
  std::memcpy(page.bytes.data(), At(offset), kBlockSize);
  refused_.push_back(page);
  region_.Keep(offset, kBlockSize);
  MapEmpty(offset);
  return true;
}

void PoisonTrap::MapEmpty(uint64_t offset) {
  const int empty = memfd_create("refused", MFD_CLOEXEC);
  MIRDAX_CHECK(empty >= 0);
  MIRDAX_CHECK(mmap(At(offset), kBlockSize, kReadWrite, MAP_SHARED | MAP_FIXED, empty, 0) ==
               At(offset));
  close(empty);
}

void PoisonTrap::RefuseAgain() {
  region_.ForgetBad();
  for (const Page& page : refused_) MapEmpty(page.offset);
}

void PoisonTrap::Cure() {
  for (const Page& page : refused_) {
    MIRDAX_CHECK(mmap(At(page.offset), kBlockSize, kReadWrite,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == At(page.offset));
    std::memcpy(At(page.offset), page.bytes.data(), kBlockSize);
  }
  refused_.clear();
  region_.ForgetBad();
}

}  // namespace mirdax::crash
