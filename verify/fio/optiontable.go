package fio

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/blksh/blksh/verify"
)

// An option is what becomes of one of fio's options in a job: set has it obeyed, why says for what
// reason it changes nothing else here, or refused that and why no job can have it.
type option struct {
	set     func(o *Options, v string) error
	why     string
	refused string
}

// options are those of fio, by name: fields of [Options] with a tag, and those in the lists below.
// What fio does not know is refused as unknown. The table is made for the first job.
var options = lazy[optionTable]{make: func() optionTable {
	t := optionTable{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Options]()) {
		t.add(f.Tag.Get("option"), option{set: setField(f)})
	}
	for names, set := range honoured() {
		t.add(names, option{set: set})
	}
	for why, names := range ignored() {
		t.add(names, option{why: why})
	}
	for why, names := range refused() {
		t.add(names, option{refused: why})
	}
	t.add("ioengine", option{set: setEngine, why: "the engine is the image's"})
	return t
}}

type optionTable map[string]option

// add adds a row for each of the names. A name that two have is a mistake in this package.
func (t optionTable) add(names string, row option) {
	for name := range strings.FieldsSeq(names) {
		if _, twice := t[name]; twice {
			panic("verify: option " + name + " is in the table twice")
		}
		t[name] = row
	}
}

// honoured are options that are more than the value of a field.
func honoured() map[string]func(o *Options, v string) error {
	return map[string]func(*Options, string) error{
		"rw readwrite":            setDirection,
		"bs blocksize":            setBlock,
		"bsrange blocksize_range": setBlockRange,
		"bssplit":                 setSplit,
		"ba blockalign":           setBlockAlign,
		"filesize":                setFileSize,
		"random_distribution":     setDistribution,
		"percentage_random":       setPercentRandom,
		"rwmixwrite":              setMixWrite,
		"zonemode":                setZoneMode,
		"file_append":             unsupported("0", "writing behind the end of a file is not supported"),
		"verify":                  setVerify,
		"randseed":                setRandSeed,
		"runtime timeout":         setRuntime,
		"sync":                    setSync,
		"verify_policy":           setPolicy,
		"filename":                setFilename,
		"file_service_type":       setFileService,
		"kb_base":                 setKBBase,
		"create_only":             unsupported("0", "a job that writes nothing is not supported"),
		"buffered":                setBuffered,
	}
}

// ignored are options that change nothing, by the reason.
func ignored() map[string]string {
	return map[string]string{
		"a run always goes on":                  "continue_on_error exitall exit_what exitall_on_error max_latency",
		"verification errors are never ignored": "ignore_error",
		"verification always replays the job":   "experimental_verify",
		"a backlog is verified whole":           "verify_backlog_batch",
		"workers go where the system puts them": `
			verify_async_cpus cpumask cpus_allowed cpus_allowed_policy numa_cpu_nodes
			numa_mem_policy nice prio prioclass priohint comm cgroup cgroup_nodelete cgroup_weight uid gid
			gtod_cpu log_compression_cpus`,
		"blocks are verified in the order of writing": "verifysort verifysort_nr",
		"the engine is the image's": `
			iodepth_batch iodepth_batch_submit iodepth_batch_complete_min iodepth_batch_complete
			iodepth_batch_complete_max iodepth_low io_submit_mode ioscheduler hipri hipri_percentage
			fixedbufs registerfiles nonvectored force_async sqthread_poll sqthread_poll_cpu uncached
			nowait cmdprio cmdprio_bssplit cmdprio_class cmdprio_percentage readfua writefua cdb_len
			cmd_type userspace_reap donorname inplace mode hostname port proto uri host cluster_name
			clustername clientname rbdname pool busy_poll http_host http_mode http_verbose https
			http_user http_pass http_s3_key http_s3_keyid http_s3_region http_s3_storage_class
			http_s3_sse_customer_algorithm http_s3_sse_customer_key http_swift_auth_token spdk_conf
			spdk_json_conf spdk_mem spdk_single_seg enable_sgl enable_vmd initial_zone_reset
			gpu_dev_ids cuda_io rocm_io ramp apptag apptag_mask pi_act pi_chk md_per_io_size deac
			read_mode verify_bytchk libaio_vectored no_completion_thread thp stream_id skip_bad
			xnvme_admin xnvme_async xnvme_be xnvme_dev_nsid xnvme_dev_subnqn xnvme_iovec xnvme_mem
			xnvme_sync libblkio_driver libblkio_force_enable_completion_eventfd
			libblkio_num_entries libblkio_path libblkio_pre_connect_props libblkio_pre_start_props
			libblkio_queue_size libblkio_vectored libblkio_wait_mode
			libblkio_write_zeroes_on_trim arguments program grace_time std_redirect cpuload
			cpuchunks cpumode exit_on_io_done stat_type dummy chunk_size chunck_size cont svcl
			object_class namenode hdfsdirectory hdfs_use_direct single_instance single-instance
			volume brick conf touch_objects nfs_url initiator http_object_mode
			http_s3_security_token interface listen mss nodelay pingpong protocol ttl window_size
			bindname verb serverip busy_wait_polling direct_write_to_pmem fdp dataplacement
			data_placement plids fdp_pli plid_select fdp_pli_select dp_scheme filetype`,
		"jobs are goroutines": "thread",
		"each job reports for itself": `
			group_reporting new_group per_job_logs unified_rw_reporting stats disk_util description
			significant_figures kb_unit unit_base`,
		"only fio measures that": `
			write_bw_log write_lat_log write_iops_log write_hist_log bwavgtime iopsavgtime
			log_entries log_avg_msec log_hist_msec log_hist_coarseness log_max_value log_offset
			log_prio log_compression log_store_compressed log_unix_epoch log_alternate_epoch
			log_alternate_epoch_clock_id log_issue_time log_window_value job_start_clock_id
			ramp_size block_error_percentiles clat_percentiles lat_percentiles
			slat_percentiles percentile_list gtod_reduce disable_lat disable_clat disable_slat
			disable_bw_measurement disable_bw clocksource ramp_time error_dump`,
		"the journal of a job here is that of verify_write --journal": "write_iolog",
		"a job runs as fast as its image": `
			thinktime thinktime_spin thinktime_blocks thinktime_blocks_type thinktime_iotime rate
			rate_min ratemin rate_process rate_cycle ratecycle rate_ignore_thinktime rate_iops
			rate_iops_min latency_target latency_window latency_percentile latency_run startdelay
			flow_id flow flow_sleep flow_watermark thinkcycles`,
		"verification always makes its data": `
			refill_buffers zero_buffers scramble_buffers buffer_compress_chunk dedupe_percentage
			dedupe_mode dedupe_working_set_percentage dedupe_global`,
		"memory is the image's": "mem iomem iomem_align mem_align lockmem hugepage-size",
		"caching is the image's": `
			invalidate fadvise_hint write_hint pre_read sync_file_range write_barrier`,
		"files are opened when they are needed, by one job at a time": `
			lockfile unique_filename fallocate create_serialize create_fsync create_on_open
			allow_file_create overwrite`,
		"what guards devices cannot be turned off by a job": "allow_mounted_write",
		"files stay": "unlink unlink_each_loop",
		"there is always memory for the map of blocks": "softrandommap",
		"a job trims single ranges":                    "num_range",
		"no program is run":                            "exec_prerun exec_postrun",
		"it is about zones that a device has, and the job about zonemode=strided or none": `
			zonecapacity read_beyond_wp max_open_zones job_max_open_zones ignore_zone_limits
			zone_reset_threshold zone_reset_frequency recover_zbd_write_error
			write_zone_remainder`,
		"jobs run one after the other": "wait_for",
		"verification never writes":    "readonly",
		"it is for jobs that replay a log": `
			read_iolog_chunked replay_no_stall replay_redirect replay_scale replay_align
			replay_time_scale replay_skip merge_blktrace_scalars merge_blktrace_iters`,
		"it is for steady states": "steadystate_duration ss_dur steadystate_ramp_time ss_ramp steadystate_check_interval ss_interval",
	}
}

// refused are options that no job can have, by the reason.
func refused() map[string]string {
	return map[string]string{
		"which requests a log holds is not the job's to say":                  "read_iolog merge_blktrace_file",
		"which files a directory has is not the job's to say":                 "opendir",
		"offsets of a sequencer are not supported":                            "rw_sequencer",
		"a job that ends when it is steady ends anywhere; runtime= says when": "steadystate ss",
		"fio takes it no longer": `
			percentage_sequential rwmixcycle`,
		"the order of such blocks is not supported": `
			random_sequence_stride sprandom spr_cs spr_num_regions spr_op`,
		"only a device can write otherwise than its driver does": "sg_write_mode",
		"an image with a key is open before the job": `
			rbd_encryption_format rbd_encryption_passphrase`,
		"its options are not in the file":                                       "profile",
		"blocks are compared here and not by the device":                        "verify_mode",
		"only a device can make unreadable or zeroed blocks in place of writes": "write_mode",
	}
}

// Set sets an option by fio's name. The value of a flag may be empty, which is
// 1. word says why an option that fio has changes nothing here, and is empty for
// others.
func (o *Options) Set(name, value string) (word string, err error) {
	blank := value != "" && strings.ContainsRune(" \t", rune(value[0]))
	value = strings.TrimSpace(value)
	row, known := options.get()[name]
	switch {
	case !known:
		return "", fmt.Errorf(
			"option %s is not supported in verification jobs: fio 3.33 to 3.42 has none of that name", name)
	case row.refused != "":
		return "", fmt.Errorf("option %s is not supported in verification jobs: %s", name,
			row.refused)
	}
	if row.set != nil {
		if blank && hasUnit(value) {
			return "", fmt.Errorf("%s= %s: %w", name, verify.Brief(value), errBlank)
		}
		if err := row.set(o, value); err != nil {
			return "", fmt.Errorf("%s=%s: %w", name, verify.Brief(value), err)
		}
	}
	if o.NoData && name == "ioengine" {
		return "its requests move no data, so that the job is left out", nil
	}
	return row.why, nil
}
